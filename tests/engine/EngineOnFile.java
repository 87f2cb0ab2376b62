// SPDX-License-Identifier: GPL-2.0-or-later

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.*;
import java.lang.reflect.*;
import java.nio.file.*;
import java.sql.*;
import java.util.*;
import java.util.stream.Collectors;

import org.ovirt.engine.core.common.businessentities.VmDeviceGeneralType;
import org.ovirt.engine.core.common.config.*;
import org.ovirt.engine.core.common.utils.customprop.VmPropertiesUtils;
import org.ovirt.engine.core.compat.Version;
import org.ovirt.engine.core.config.EngineConfigExecutor;
import org.ovirt.engine.core.utils.EngineLocalConfig;
import org.ovirt.engine.core.utils.customprop.DevicePropertiesUtils;

/**
 * Runs an engine's own code, as it is installed, on a file instead of a database. The file has lines such as
 * UserDefinedVMProperties/4.7=a=^b$, and beside it is the folder engine-config of the engine's /etc/ovirt-engine.
 *
 * java EngineOnFile config FILE ARG...         does as engine-config ARG... does
 * java EngineOnFile check FILE VERSION KIND    prints the expression of vmfex for a vm or a nic and, for each
 *                                              value, a line of base64 on stdin, whether the engine takes it
 */
public class EngineOnFile {
    private static final Map<String, String> options = new TreeMap<>();
    private static final List<Object> parameters = new ArrayList<>();
    private static Path file;

    public static void main(String[] args) throws Exception {
        file = Paths.get(args[1]);
        for (String line : Files.readAllLines(file)) {
            options.put(line.split("=", 2)[0], line.split("=", 2)[1]);
        }
        if (args[0].equals("config")) {
            DriverManager.registerDriver(standIn(Driver.class, EngineOnFile::database));
            EngineLocalConfig.getInstance(Map.of("ENGINE_ETC", file.getParent().toString(), "ENGINE_DB_URL", "file",
                    "ENGINE_DB_DRIVER", "EngineOnFile", "ENGINE_DB_USER", "", "ENGINE_DB_PASSWORD", ""));
            EngineConfigExecutor.main(Arrays.copyOfRange(args, 2, args.length));
        } else {
            Config.setConfigUtils(standIn(IConfigUtilsInterface.class, EngineOnFile::option));
            check(new Version(args[2]), args[3].equals("vm"));
        }
    }

    private static <T> T standIn(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(EngineOnFile.class.getClassLoader(), new Class<?>[] {type}, handler));
    }

    /** Driver, connection, statement and result in one: engine-config has one of each at a time. */
    private static Object database(Object self, Method method, Object[] args) throws Exception {
        switch (method.getName()) {
        case "prepareStatement": parameters.clear(); break;
        case "setString": parameters.add(args[1]); break;
        case "next": return true;
        case "getString": // select ... where name = ? and version = ?
            return Optional.ofNullable(options.get(parameters.get(0) + "/" + parameters.get(1))).orElseThrow();
        case "executeUpdate": // update ... set value = ? where name = ? and version = ?
            String key = parameters.get(1) + "/" + parameters.get(2);
            if (options.replace(key, (String) parameters.get(0)) == null) return 0;
            Files.write(file, options.entrySet().stream().map(Object::toString).collect(Collectors.toList()));
            return 1;
        }
        Class<?> type = method.getReturnType();
        return type.isInterface() ? standIn(type, EngineOnFile::database) : null;
    }

    private static Object option(Object self, Method method, Object[] args) {
        return args[0].toString().equals("SupportedClusterLevels")
                ? options.keySet().stream().map(key -> new Version(key.split("/")[1])).collect(Collectors.toSet())
                : options.get(args[0] + "/" + args[1]);
    }

    /** What the engine does with a VM's or a vNIC profile's custom property, when it is entered. */
    private static void check(Version version, boolean ofVm) throws Exception {
        VmPropertiesUtils vms = VmPropertiesUtils.getInstance();
        DevicePropertiesUtils devices = DevicePropertiesUtils.getInstance();
        VmDeviceGeneralType nic = VmDeviceGeneralType.INTERFACE;
        vms.init();
        devices.init();
        System.out.println((ofVm ? vms.getAllVmProperties().get(version) : devices.getDeviceProperties(version, nic))
                .get("vmfex"));
        new BufferedReader(new InputStreamReader(System.in)).lines().forEach(line -> {
            String value = new String(Base64.getDecoder().decode(line), UTF_8);
            System.out.println(ofVm ? vms.validateVmProperties(version, "vmfex=" + value, new ArrayList<>())
                    : devices.validateProperties(version, nic, Map.of("vmfex", value)).isEmpty());
        });
    }
}
